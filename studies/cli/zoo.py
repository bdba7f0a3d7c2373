"""``omsdpm-bench zoo``: adding, deriving, training, profiling and importing of members."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studies.cli import _options
from studies.cli._lazy import LazyGroup
from studies.cli._settings import click_options
from studies.jobs.running import RunningSettings

if TYPE_CHECKING:
    from omsdpm.zoo.adding import Added

Step = Callable[[int, int], None]

COMMANDS = {
    "add": "studies.cli.zoo:add",
    "derive": "studies.cli.zoo:derive",
    "train": "studies.cli.zoo:train",
    "profile": "studies.cli.zoo:profile",
    "import": "studies.cli.zoo:import_",
    "train-features": "studies.cli.zoo:train_features",
}


_made_zoo = click.option(
    "--zoo", "folder", type=click.Path(path_type=Path), required=True, help="The zoo's folder, made if new."
)
_size = click.option(
    "--size", type=(click.IntRange(min=1), click.IntRange(min=1)), metavar="HEIGHT WIDTH",
    help="Of what a new zoo denoises, in latents where there is a VAE.  [default: the model's own]",
)  # fmt: skip
_frames = click.option("--frames", type=click.IntRange(min=1), help="Of the videos of a new zoo, in latents.")


@click.group(cls=LazyGroup, lazy=COMMANDS)
def zoo() -> None:
    """Add, derive, train, profile and import the networks that schedules choose from."""


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The zoo's folder.")
@click.option("--images", type=click.Path(path_type=Path), help="Folder of images.  [default: scikit-learn's digits]")
@click.option("--member", "members", multiple=True, metavar="NAME", help="Train only this member, repeatable.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: torch's]")
@_options.device
def train(
    recipe: Path, output: Path, images: Path | None, members: tuple[str, ...], threads: int | None, device: str
) -> None:
    """Train the members of RECIPE, a TOML file.

    A killed training goes on where it was; finished members are left alone. zoo.toml is
    written once all members are there. A tenth of the images is kept out of the training: the loss on
    them, from the same noise, compares between members. A member with num_class_embeds learns the
    classes of the images: which digit each is, or the folder in --images that it lies in.
    """
    from omsdpm.devices import resolve_device
    from omsdpm.errors import InputError, unknown_name
    from omsdpm.files import writable_folder
    from omsdpm.images import Labels, load_digits_images, load_digits_labels, load_folder_labels, load_image_folder
    from omsdpm.networks.unet2d import WEIGHTS_FILE
    from omsdpm.zoo.held_out import HeldOutLoss
    from omsdpm.zoo.recipe import ZooRecipe, check_output, write_zoo
    from omsdpm.zoo.train import check_training, train_member
    from studies.cli._console import Reporter, stdout

    plan = ZooRecipe.read(recipe)
    known = [member.name for member in plan.members]
    for name in members:
        if name not in known:
            raise unknown_name(f"member of {recipe}", name, known)
    where = resolve_device(device)
    chosen = [member for member in plan.members if not members or member.name in members]
    labeled = any(member.num_classes is not None for member in chosen)
    size, channels = plan.zoo.image_size, plan.zoo.channels
    if images is not None:
        data = load_image_folder(images, size, channels)
        labels: Labels | None = load_folder_labels(images) if labeled else None
    elif (size, channels) == (8, 1):
        data = load_digits_images()
        labels = load_digits_labels() if labeled else None
    else:
        raise InputError(
            f"recipe {recipe} is for images of {size}x{size} with {channels} channels, "
            "the digits are 8x8 with 1: give --images FOLDER"
        )
    for member in chosen:
        check_training(plan, member, data, labels)
    check_output(plan, output)
    writable_folder(output)

    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    reporter, console = Reporter(), stdout()
    for member in chosen:
        there = (output / member.name / WEIGHTS_FILE).exists()
        with reporter.part(f"Training member {member.name}") as step:

            def move(done: int, total: int, running: float, step: Step = step) -> None:
                step(done, total)

            folder = train_member(plan, member, data, output / member.name, labels=labels, device=where, progress=move)
        kept = HeldOutLoss.read(folder)
        notes = [*["was trained already"] * there, *([] if kept is None else [kept.words()])]
        console.print(f"member {member.name}: {folder}, {', '.join(notes)}", soft_wrap=True, highlight=False)
    lacking = [name for name in known if not (output / name / WEIGHTS_FILE).exists()]
    if lacking:
        console.print(f"members still to train: {', '.join(lacking)}", highlight=False)
    else:
        write_zoo(plan, output)
        console.print(f"zoo: {output}", soft_wrap=True, highlight=False)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--batch-size", "batch_sizes", type=click.IntRange(min=1), multiple=True, metavar="N",
    help="Images an evaluation; budgets are of the first, others are kept beside it.  [default: 500]",
)  # fmt: skip
@click.option("--repeats", type=click.IntRange(min=1), default=20, show_default=True, help="Timed turns a member.")
@click.option(
    "--schedules", type=click.IntRange(min=0), default=6, show_default=True,
    help="Random whole schedules that are timed, beside one of each member alone; 0 leaves all of them out.",
)  # fmt: skip
@click.option(
    "--guidance", type=click.FloatRange(min=0), metavar="SCALE",
    help="For members that do not say their own, as they will be sampled with.  [default: none]",
)  # fmt: skip
@click.option("--name", help="Of this device: writes latency-NAME.toml, for --latency-of NAME.")
@_options.device
@click_options(RunningSettings)
def profile(
    settings: RunningSettings, folder: Path, batch_sizes: tuple[int, ...], repeats: int, schedules: int,
    guidance: float | None, name: str | None, device: str,
) -> None:  # fmt: skip
    """Measure the latency of each member of the zoo FOLDER into its latency.toml.

    Whole schedules are timed too, by what samples: they tell what a step and a change of members cost
    beside the members, and how far the table is off what sampling takes.
    """
    from rich.table import Table

    from omsdpm.devices import resolve_device
    from omsdpm.zoo.files import USUAL_BATCH
    from omsdpm.zoo.profile import profile_zoo
    from studies.cli._console import Reporter, stdout

    where = resolve_device(device)
    first, *others = batch_sizes or (USUAL_BATCH,)
    with Reporter().part("Profiling") as step:
        card = profile_zoo(
            folder, batch_size=first, repeats=repeats, device=where, guidance=guidance, name=name,
            other_batches=others, schedules=schedules, running=settings.running, progress=step,
        )  # fmt: skip
    caption = f"{card['statistic']} of {repeats}, {first} images, {card['device']}, {card['date']}"
    columns = {"latency (ms)": card["ms"]}
    columns |= {f"of {one['batch_size']} images": one["ms"] for one in card.get("other_batches", ())}
    columns |= {"peak memory (MiB)": card["peak_mib"]} if "peak_mib" in card else {}
    table = Table("member", *columns, caption=caption, caption_justify="left")
    for number, row in enumerate(zip(*columns.values(), strict=True), start=1):
        table.add_row(str(number), *(f"{value:.3f}" for value in row))
    console = stdout()
    console.print(table)
    if "error" in card:
        console.print(
            f"a step costs {card.get('step_ms', 0.0):.3f} ms more, a change of members "
            f"{card.get('switch_ms', 0.0):.3f} ms; {card['schedules']} whole schedules take what the table says "
            f"within {card['error']:.1%}, what the members' sum says within {card['error_of_sum']:.1%}",
            soft_wrap=True, highlight=False,
        )  # fmt: skip


@click.command()
@click.argument("source")
@_made_zoo
@click.option("--variant", metavar="NAME", help="Of the weights' files, such as fp16.")
@click.option(
    "--guidance", type=click.FloatRange(min=0), metavar="SCALE",
    help="Of the member, 1 for none.  [default: what the measurement says]",
)  # fmt: skip
@_size
@_frames
def add(
    source: str, folder: Path, variant: str | None, guidance: float | None, size: tuple[int, int] | None,
    frames: int | None,
) -> None:  # fmt: skip
    """Make SOURCE, a diffusers pipeline or model, a member of a zoo.

    SOURCE is a folder, or the name of one on the Hugging Face hub. It stays where it is. Noise schedule
    and what the network predicts are read from the pipeline's scheduler; a model alone takes the zoo's, or
    the usual linear betas of a new one. The pipeline's VAE and text encoders become the whole zoo's; a
    pipeline of two experts gives two members.
    """
    from omsdpm.zoo.adding import add_member
    from studies.cli._console import Reporter

    with Reporter().part("Loading"):
        added = add_member(source, folder, variant=variant, guidance=guidance, size=size, frames=frames)
    _print_added(added, folder)


@click.command()
@click.option("--from", "source", required=True, metavar="SOURCE", help="A diffusers pipeline or model, as for add.")
@click.option(
    "--variant", "variants", multiple=True, required=True, metavar="NAME[PARAM=VALUE,...]",
    help="A member each, repeatable; several joined by + are one, as-is is the model itself. See list.",
)  # fmt: skip
@_made_zoo
@click.option("--weights", metavar="NAME", help="Variant of the weights' files, such as fp16.")
@_size
@_frames
def derive(
    source: str, variants: tuple[str, ...], folder: Path, weights: str | None, size: tuple[int, int] | None,
    frames: int | None,
) -> None:  # fmt: skip
    """Make members of one model that need no training.

    Guidance on or off (guidance[scale=7.5]), adapters (lora[weights=FILE]), lower precision
    (dtype[to=bfloat16], int8), skipped blocks (skip[blocks=[3]]), merged tokens (tokens[merge=0.5]), feature
    caches (cache[method=FirstBlockCache,threshold=0.1]). What each costs is measured by 'zoo profile'.
    """
    from omsdpm.zoo.adding import derive_members
    from studies.cli._console import Reporter

    with Reporter().part("Loading"):
        added = derive_members(source, folder, variants, variant=weights, size=size, frames=frames)
    _print_added(added, folder)


def _print_added(added: Added, folder: Path) -> None:
    from studies.cli._console import stdout

    noise = "" if added.noise_known or not added.created else ", the usual one, as no scheduler says another"
    shapes = ["x".join(map(str, shape)) for shape in (added.zoo.shape, added.zoo.image_shape(folder))]
    images = f"images of {shapes[0]}" if shapes[0] == shapes[1] else f"latents of {shapes[0]}, images of {shapes[1]}"
    lines = [
        f"member {number}: {member.name}, predicts {member.prediction_type}"
        + (", as it was" if number <= added.known else "")
        for number, member in zip(added.numbers, added.members, strict=True)
    ]
    lines += [
        f"zoo: {folder}, {len(added.zoo.members)} members for {images}, noise {added.zoo.noise.kind}{noise}",
        f"next: omsdpm-bench zoo profile {folder}",
    ]
    stdout().print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder for the zoo, without one yet.")
@click.option(
    "--latency", type=click.Path(path_type=Path), help="Latency table.  [default: the one *latency.pth of PATH]"
)
def import_(path: Path, output: Path, latency: Path | None) -> None:
    """Convert the released zoo PATH, N/config.yml and N/ckpt.pth, into a zoo of diffusers networks."""
    from rich.table import Table

    from omsdpm.released import import_zoo
    from omsdpm.zoo import ModelZoo
    from omsdpm.zoo.opening import read_latency_table
    from omsdpm.zoo.zoo import parameter_counts
    from studies.cli._console import Reporter, stdout

    table = None if latency is None else read_latency_table(latency)
    with Reporter().part("Importing"):
        import_zoo(path, output, table)
        imported = ModelZoo.load(output)  # what was written can be read
    ms = None if imported.latency_card is None else imported.latency
    shape = "x".join(map(str, imported.shape))
    caption = f"{len(imported.members)} members for images of {shape}; the EMA weights where the release has them"
    summary = Table("member", "parameters", "latency (ms)", caption=caption, caption_justify="left")
    for number, count in enumerate(parameter_counts(imported)):
        summary.add_row(imported.members[number].name, f"{count:,}", "-" if ms is None else f"{ms[number]:.3f}")
    console = stdout()
    console.print(summary)
    console.print(f"zoo: {output}", soft_wrap=True, highlight=False)


@click.command("train-features")
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True,
    help="Of the weights, the batches and the shifts.",
)  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), default=Path("digits.safetensors"), show_default=True)
def train_features(seed: int, output: Path) -> None:
    """Train the digit classifier whose features define fd-digits, and write its card."""
    from omsdpm.scoring.features.train_digits import train_digit_network
    from studies.cli._console import Reporter, stdout

    with Reporter().part("Training the digit network") as step:
        card = train_digit_network(output, seed, progress=lambda epoch, epochs, loss: step(epoch, epochs))
    stdout().print(f"{output}: held-out accuracy {card['held_out_accuracy']:.2%}", soft_wrap=True, highlight=False)
