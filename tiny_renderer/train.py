"""Train the tiny renderer in a work folder, however often it is stopped, and export its weights.

``python -m tiny_renderer.train --work DIR`` trains from wherever ``DIR`` stands; ``--export DIR`` writes the
averaged weights that it holds now as a Stable Diffusion folder, also while another process trains.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.server.settings import prepare

prepare()

from prefect import flow, task  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402

from data_specs.errors import SpecError, StoppedError, SynclrError  # noqa: E402

TRAINING_STAGES = ("render_scenes", "fit_autoencoder", "fit_reader", "encode_scenes", "fit_denoiser", "polish_decoder")
SHIPPED = Path(__file__).resolve().parents[1] / "models" / "renderer" / "tiny"


@task(task_run_name="{stage}", cache_policy=NO_CACHE)
def complete_stage(
    stage: str, folder: str, lengths: dict[str, int], styles: list[str] | None, device: str, scenes: int | None
) -> None:
    """Bring one stage to its end; what it has done already is not done again."""
    from tiny_renderer import stages

    plan = stages.training_plan(lengths, styles, scenes)
    run_stage = getattr(stages, stage)
    run_stage(stages.TrainingRun(Path(folder), plan, device, show=lambda line: print(line, flush=True)))


@flow(name="train tiny renderer", flow_run_name="tiny renderer in {folder}")
def train_tiny_renderer(
    folder: str,
    lengths: dict[str, int] | None = None,
    styles: list[str] | None = None,
    device: str = "cpu",
    scenes: int | None = None,
    stages: Sequence[str] = TRAINING_STAGES,
) -> str:
    """Render scenes, train autoencoder, text encoder, denoiser, and the decoder once more; return the work folder.

    ``lengths`` overrides the steps of a stage (``autoencoder``, ``reader``, ``denoiser``, ``decoder``).
    """
    for stage in stages:
        complete_stage(stage, folder, lengths or {}, styles, device, scenes)
    return folder


def main() -> int:
    """Train or export; 130 after Ctrl-C, 1 with a message for what was requested wrongly or is missing."""
    given = _arguments()
    try:
        if given.export:
            from tiny_renderer.export_renderer import export

            print(f"{given.export}: {export(given.work, given.export)} bytes of weights")
        else:
            _train(given)
    except StoppedError as stopped:
        print(f"{stopped}; the same command goes on", file=sys.stderr)
        return 130
    except SynclrError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("workspace/tiny_renderer"), help="scenes, snapshots, logs")
    parser.add_argument(
        "--export", type=Path, nargs="?", const=SHIPPED, help=f"write the weights here ({SHIPPED.name})"
    )
    parser.add_argument(
        "--stages", nargs="+", choices=TRAINING_STAGES, default=TRAINING_STAGES, help="only these, in this order"
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="STAGE=STEPS", help="length of a stage, e.g. denoiser=20000"
    )
    parser.add_argument("--scenes", type=int, help="training scenes to render")
    parser.add_argument("--styles", nargs="+", help="styles of the scenes; all five unless named")
    parser.add_argument("--device", default="cpu", help="cpu, cuda")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads")
    return parser.parse_args()


def _train(given: argparse.Namespace) -> None:
    import torch

    from tiny_renderer.stages import training_plan

    lengths = parse_lengths(given.set)
    training_plan(lengths, given.styles, given.scenes)  # refuses a wrong request before the first stage
    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)
    (given.work / "pid").write_text(str(os.getpid()))
    train_tiny_renderer(str(given.work), lengths, given.styles, given.device, given.scenes, list(given.stages))


def parse_lengths(texts: Sequence[str]) -> dict[str, int]:
    """Parse ``denoiser=20000`` and the like; SpecError for another form."""
    pairs = [text.partition("=") for text in texts]
    if wrong := [f"{name}{equals}{steps}" for name, equals, steps in pairs if not (name and steps.isdecimal())]:
        raise SpecError(f"--set {wrong[0]!r} is not of the form STAGE=STEPS, e.g. denoiser=20000")
    return {name: int(steps) for name, _, steps in pairs}


if __name__ == "__main__":
    raise SystemExit(main())
