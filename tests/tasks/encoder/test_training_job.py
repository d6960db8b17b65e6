"""A training is described by what follows from the recipe: its seed by the run's, and by which repeat it is."""

from data_specs.ids import Lineage
from data_specs.specs.encoder import EncoderSpec
from data_specs.stage import Stage
from tasks.bundles import Work
from tasks.encoder.train import EncoderInputs, training_job
from tasks.encoder.training_job import TrainingJob


def job(repeat: int, seed: int = 3) -> TrainingJob:
    images, encoder = (
        Stage(name=name, lineage=Lineage("a"), folder=name, count=1, facts={}) for name in ("images", "encoder")
    )
    return training_job(Work(encoder, (0,), EncoderSpec(repeat=repeat), EncoderInputs(images), seed))


def test_a_repeat_trains_with_random_numbers_of_its_own_and_the_first_with_the_seed_of_the_run() -> None:
    assert job(0).seed == 3
    assert len({job(repeat, seed).seed for repeat in range(3) for seed in (3, 4)}) == 6
    assert job(2) == job(2) == TrainingJob.model_validate_json(job(2).model_dump_json())
