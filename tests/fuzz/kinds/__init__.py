"""Generators of malformed files, one module a kind of file."""

from tests.fuzz.case import Kind
from tests.fuzz.kinds.builds import BuildKind
from tests.fuzz.kinds.images import ImageKind
from tests.fuzz.kinds.parquet import ParquetKind
from tests.fuzz.kinds.pipelines import PipelineKind
from tests.fuzz.kinds.plain import PlainKind
from tests.fuzz.kinds.predictors import PredictorKind
from tests.fuzz.kinds.pth import PthKind
from tests.fuzz.kinds.results import ResultKind
from tests.fuzz.kinds.toml import TomlKind
from tests.fuzz.kinds.yaml import YamlKind
from tests.fuzz.kinds.zoos import ZooKind

KINDS: dict[str, type[Kind]] = {
    kind.name: kind
    for kind in (
        TomlKind, ZooKind, PredictorKind, PthKind, ParquetKind, BuildKind, YamlKind, ImageKind, PlainKind, ResultKind,
        PipelineKind,
    )
}  # fmt: skip
