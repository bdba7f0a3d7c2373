"""How closely schedules of one member agree with the sampling of diffusers' own schedulers.

``python -m tests.agreement`` runs all of :data:`CASES` on tiny pipelines of random weights and writes
``docs/agreement.md``, and the table of each kind of network into its page in ``docs/kinds``. Each case samples twice
from the same noise and prompt in float32: with the pipeline's own scheduler, and with our plan in the same pipeline
(:func:`omsdpm.pipelines.apply`), which gives what our executor does.
"""

from __future__ import annotations

import inspect
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omsdpm.networks.base import Network
from tests import pipelines

PAGE = Path(__file__).parents[1] / "docs" / "agreement.md"

KINDS = {
    "unet2d": ("ddpm", "ddim"),
    "unet2d-condition": ("sd", "sdxl"),
    "dit": ("dit",),
    "transformer": ("pixart", "sd3", "sana", "flux", "wan"),
}
"""Pipelines of each kind of network that has a page of its own."""

BEGIN, END = "<!-- agreement -->\n", "<!-- end -->"
"""In a kind's page, around its table."""

STEPS = 10

LIMIT = 1e-4
"""Largest difference that counts as agreement."""


@dataclass(frozen=True)
class Case:
    """A pipeline with a scheduler, and what equals it here.

    Attributes:
        kind: the name of a ``tiny_*`` function.
        scheduler: class in diffusers.
        solver: ours.
        grid: named timesteps; ``None`` is the usual grid of the noise schedule.
        config: what the scheduler is made with beside the pipeline's own configuration; ``None`` leaves that scheduler.
        options: of our solver.
        clip: where our member clips.
        use_clipped_model_output: whether its noise is that of the clipped image.
        call: more arguments of the pipeline's call with its own scheduler.
        schedule: member of each evaluation, noise end first; member 1 alone without it.
    """

    kind: str
    scheduler: str
    solver: str
    grid: str | None
    config: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    clip: float | None = None
    use_clipped_model_output: bool = True
    call: Mapping[str, Any] = field(default_factory=dict)
    schedule: tuple[int, ...] = (1,) * STEPS

    @property
    def ours(self) -> str:
        """Solver and options in words."""
        options = {key: f"{value:g}" for key, value in self.options.items()}
        options |= {"clip": f"{self.clip:g}"} if self.clip is not None else {}
        options |= {} if self.use_clipped_model_output else {"use_clipped_model_output": "false"}
        said = ", ".join(f"`{key} = {value}`" for key, value in options.items())
        return f"`{self.solver}`" + (f", {said}" if said else "")

    @property
    def theirs(self) -> str:
        """The scheduler with what it is told."""
        told = {**(self.config or {}), **self.call}
        return f"`{self.scheduler}`" + "".join(f", `{key}={value!r}`" for key, value in told.items())


CLIPPED = {"use_clipped_model_output": True}
FREE = {"clip_sample": False}
CASES = (
    Case("ddpm", "DDPMScheduler", "ddim", "leading", options={"eta": 1.0}, clip=1.0),
    Case("ddim", "DDIMScheduler", "ddim", "leading", clip=1.0, use_clipped_model_output=False),
    Case("ddim", "DDIMScheduler", "ddim", "leading", clip=1.0, call=CLIPPED),
    Case("ddim", "DDIMScheduler", "ddim", "leading", FREE),
    Case("ddim", "DDIMScheduler", "ddim", "trailing", {**FREE, "timestep_spacing": "trailing"}),
    Case("ddpm", "DDPMScheduler", "ddim", "linspace", {**FREE, "timestep_spacing": "linspace"}, {"eta": 1.0}),
    Case("sd", "DDIMScheduler", "ddim", "leading[offset=1]", options={"t_end": 1e-3}),
    Case("sd", "EulerDiscreteScheduler", "ddim", "leading[offset=1]", {"timestep_spacing": "leading"}),
    Case("sd", "DPMSolverMultistepScheduler", "dpm-solver++", "dpm-linspace", {"timestep_spacing": "linspace"}),
    Case("sd", "DPMSolverMultistepScheduler", "dpm-solver++", "dpm-leading[offset=1]", {"timestep_spacing": "leading"}),
    Case("sd", "UniPCMultistepScheduler", "unipc", "dpm-linspace", {"timestep_spacing": "linspace"}),
    Case("sdxl", "EulerDiscreteScheduler", "ddim", "leading[offset=1]"),
    Case("dit", "DDIMScheduler", "ddim", "leading"),
    Case("pixart", "DPMSolverMultistepScheduler", "dpm-solver++", "dpm-linspace"),
    Case("sd3", "FlowMatchEulerDiscreteScheduler", "ddim", "flow-euler"),
    Case("sana", "FlowMatchEulerDiscreteScheduler", "ddim", "flow-euler"),
    Case("flux", "FlowMatchEulerDiscreteScheduler", "ddim", None),
    Case("wan", "FlowMatchEulerDiscreteScheduler", "ddim", "flow-euler", schedule=(1,) * 7 + (2,) * 3),
)


class Itself(Network):
    """A pipeline's own model as a member."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __call__(self, x: Any, timesteps: Any, **conditions: Any) -> Any:
        return self.module(x, timesteps, **conditions).sample


def difference(case: Case, folder: str | Path) -> float:
    """The largest absolute difference of a value in the final state, of its largest value where that is above 1.

    Untrained networks that predict the noise leave latents of a hundred and more, which float32 rounds accordingly.
    """
    import diffusers

    from omsdpm.noise.scheduler_config import noise_from_scheduler_config
    from omsdpm.pipelines import apply
    from omsdpm.solvers import SolverOptions, space_on
    from omsdpm.zoo import Member, ModelZoo

    pipe = pipelines.loaded(getattr(pipelines, f"tiny_{case.kind}")(folder))
    said = json.loads((Path(folder) / "scheduler/scheduler_config.json").read_text())
    if case.config is not None:
        pipe.scheduler = getattr(diffusers, case.scheduler).from_config(pipe.scheduler.config, **case.config)
    assert type(pipe.scheduler).__name__ == case.scheduler
    noise = noise_from_scheduler_config(said)
    places = [name for name in ("unet", "transformer", "transformer_2") if getattr(pipe, name, None) is not None]
    predicts = "flow_prediction" if noise.kind == "flow" else "epsilon"
    clips = (case.clip, case.use_clipped_model_output)
    members = [Member(name, Itself(getattr(pipe, name)), noise, predicts, *clips) for name in places]
    space = space_on(noise, case.solver, len(members), len(case.schedule), case.grid)
    own = _sampled(pipe, case, **case.call)
    zoo = ModelZoo(members, noise, (1, 8, 8))
    with apply(pipe, case.schedule[::-1], zoo=zoo, space=space, options=SolverOptions(**case.options)):
        ours = _sampled(pipe, case)
    return float((own - ours).abs().max() / own.abs().max().clamp(min=1.0))


def difference_of_zoo(case: Case, folder: str | Path) -> float | None:
    """The same for the pipeline as ``zoo add`` makes a zoo of it: its networks, prompts, guidance, grid and solver.

    ``None`` where the scheduler draws fresh noise from the generator of the call, which a zoo does not.
    """
    import diffusers
    import torch

    from omsdpm.guidance import conditioned
    from omsdpm.sampling import sample
    from omsdpm.solvers import SolverOptions, space_on
    from omsdpm.zoo import ModelZoo
    from omsdpm.zoo.adding import add_member

    if case.options.get("eta"):
        return None
    source, target = Path(folder) / "pipeline", Path(folder) / "zoo"
    pipe = pipelines.loaded(getattr(pipelines, f"tiny_{case.kind}")(source))
    if case.config is not None:
        pipe.scheduler = getattr(diffusers, case.scheduler).from_config(pipe.scheduler.config, **case.config)
        pipe.scheduler.save_pretrained(source / "scheduler")
    add_member(source, target, **NEW.get(case.kind, {}))
    zoo = ModelZoo.load(target)
    assert zoo.members[0].clip == case.clip
    if case.call == CLIPPED:  # which no file of a pipeline can say
        zoo.members[0].use_clipped_model_output = True
    assert zoo.members[0].use_clipped_model_output == case.use_clipped_model_output
    scale = inspect.signature(type(pipe).__call__).parameters.get("guidance_scale")
    if any(member.network.takes_guidance for member in zoo.members):
        assert scale is not None
        zoo = zoo.guided(scale.default)
    given: dict[str, Any] = {}
    if zoo.takes_prompts:
        given["prompts"] = zoo.encode(["a cat"])
    if case.kind == "dit":
        given["labels"] = [3]
    members = conditioned(zoo.denoisers, **given) if given else zoo.denoisers
    space = space_on(zoo.noise, case.solver, len(members), len(case.schedule), case.grid)
    start = torch.randn((1, *zoo.shape), generator=torch.Generator().manual_seed(0))
    ours = sample(
        members, case.schedule[::-1], start, space=space, noise=zoo.noise, options=SolverOptions(**case.options)
    ).double()
    own = _sampled(pipe, case, without=SHORTER, **case.call)
    if case.kind == "flux":
        own = pipe._unpack_latents(own, 16, 16, pipe.vae_scale_factor)
    return float((own - ours).abs().max() / own.abs().max().clamp(min=1.0))


NEW: Mapping[str, Mapping[str, Any]] = {"flux": {"size": (8, 8)}, "wan": {"size": (4, 4), "frames": 1}}
"""What ``zoo add`` has to be told of a new zoo."""

SHORTER = ("max_sequence_length", "complex_human_instruction")
"""Arguments that make the tests' calls short; a zoo's prompts are the pipeline's usual ones."""


def _sampled(pipe: Any, case: Case, without: Sequence[str] = (), **more: Any) -> Any:
    import torch

    generator = torch.Generator().manual_seed(0)
    call = {key: value for key, value in pipelines.CALLS[case.kind].items() if key not in without}
    given = {**call, "num_inference_steps": STEPS, "generator": generator, **more}
    return pipelines.latents(pipe, **given, output_type="np").double()


PAGE_TEXT = f"""# Agreement with diffusers

What samples here as a scheduler of diffusers does: {STEPS} steps of one member (of Wan's two experts in turn), float32,
from the same noise and prompt, on tiny pipelines of random weights: the largest absolute difference of a value in
the final latents, in units of their largest value where that is above 1. Up to {LIMIT:g} counts as agreement.
"in the pipeline" has our plan in the pipeline itself (`omsdpm.pipelines.apply`); "as a zoo" is what
`omsdpm-bench zoo add` makes of its folder: our networks, text encoders, guidance at the pipeline's usual scale, and
solver (`-` where the scheduler draws fresh noise from the call's generator). Made by `python -m tests.agreement`. Each
kind of network has a page: {", ".join(f"[{kind}](kinds/{kind}.md)" for kind in KINDS)}.

TABLE

`t_end = 0.001` is DDIM's `set_alpha_to_one=False`, which ends at the first of 1,000 timesteps. `clip` of a member is
`clip_sample`. DDPM steps with the noise of the clipped image, as `use_clipped_model_output=True` has DDIM do;
`DDIMPipeline` steps with the noise that was predicted unless its call says that, and so does a member with
`use_clipped_model_output = false`, which `zoo add` writes for a pipeline of DDIM. DDIMScheduler's
`timestep_spacing="linspace"` has no counterpart here, nor has a number of steps that does not divide the timesteps: it
then steps to other timesteps than it evaluates at. Multistep schedulers that sample flow matching (`use_flow_sigmas`)
tell their networks whole timesteps, rounded from the sigmas, and are not compared.
"""


HEAD = """| pipeline | scheduler | solver here | `timesteps` | in the pipeline | as a zoo |
|---|---|---|---|---|---|"""

Measured = Sequence[tuple[Case, float, float | None]]
"""Cases with the difference in the pipeline, and as a zoo."""


def table(measured: Measured) -> str:
    """Markdown."""
    rows = [HEAD]
    for case, applied, zoo in measured:
        grid = f"`{case.grid}`" if case.grid else "the usual"
        last = "-" if zoo is None else f"{zoo:.0e}"
        rows.append(f"| {case.kind} | {case.theirs} | {case.ours} | {grid} | {applied:.0e} | {last} |")
    return "\n".join(rows)


def page(measured: Measured) -> str:
    """The page of all as Markdown."""
    return PAGE_TEXT.replace("TABLE", table(measured))


def kind_page(kind: str) -> Path:
    """Where a kind of network has its page."""
    return PAGE.parent / "kinds" / f"{kind}.md"


def with_table(text: str, measured: Measured) -> str:
    """A page with another table between its two marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}{table(measured)}\n{END}{rest.partition(END)[2]}"


def of_kind(kind: str, measured: Measured) -> Measured:
    """The cases of a kind of network."""
    return [one for one in measured if one[0].kind in KINDS[kind]]


def main(show: Callable[[str], object] = print) -> None:
    """Measures all cases, and writes the page."""
    measured = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            applied, zoo = difference(case, Path(folder) / "applied"), difference_of_zoo(case, folder)
        measured.append((case, applied, zoo))
        last = "-" if zoo is None else f"{zoo:.1e}"
        show(f"{case.kind:7} {case.scheduler:32} {case.solver:13} {case.grid or '-':22} {applied:.1e} {last}")
    PAGE.write_text(page(measured), encoding="utf-8")
    for kind in KINDS:
        own = kind_page(kind)
        own.write_text(with_table(own.read_text(encoding="utf-8"), of_kind(kind, measured)), encoding="utf-8")


if __name__ == "__main__":
    main()
