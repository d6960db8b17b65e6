"""Settings of the scores stage: the evaluation protocols."""

from typing import Annotated, Literal

from pydantic import Field

from data_specs.specs.base import Spec

ProtocolName = Literal["ridge", "knn", "logistic", "sgd", "few_shot"]


class ScoresSpec(Spec):
    """By which protocols embeddings are evaluated. Zero-shot is added for every encoder with a text tower."""

    protocols: tuple[ProtocolName, ...] = Field(
        default=("ridge", "knn"),
        min_length=1,
        description="linear probes: ridge (closed form), logistic (L-BFGS over SynCLR's 45 penalties), sgd (9 learning rates); "
        "k-NN; few-shot",
    )
    knn_k: int = Field(default=10, ge=1, description="neighbours")
    knn_temperature: float = Field(default=0.07, gt=0, description="as in DINO")
    ridge_penalties: tuple[Annotated[float, Field(ge=1e-8)], ...] = Field(
        default=(1e-5, 1e-4, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0),
        min_length=1,
        description="L2 penalties to try, relative to the mean squared error on standardised features; the validation split "
        "decides, and the scores say where it chose an end of them",
    )
    logistic_every_penalty: bool = Field(
        default=False, description="try all 45 penalties (paper); false: coarse to fine, a third of them"
    )
    logistic_iterations: int = Field(default=1000, ge=1, description="most iterations of L-BFGS (paper 1000)")
    sgd_epochs: int = Field(
        default=90, ge=1, description="epochs over the features, which are not augmented (paper 90)"
    )
    few_shots: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1, 5), min_length=1, description="images per class"
    )
    few_shot_repeats: int = Field(
        default=5, ge=2, description="random samples of them; the report gives the mean and a 95 % interval"
    )
