"""Only what may succeed at another try is tried again."""

from types import SimpleNamespace

import pytest
from prefect.states import Failed

from data_specs.errors import ContractError, EngineError, SpecError, StoppedError
from flows.execution.bundle_task import RETRIES, bundle_task, engine_failed


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (EngineError("the GPU was lost"), True),
        (SpecError("there is no such model"), False),
        (ContractError("the shard is damaged"), False),
        (StoppedError("the run is stopping"), False),
        (ValueError("a mistake of ours"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_engine_that_failed_is_asked_again_and_a_wrong_request_or_broken_contract_never(error, again):
    bundle = bundle_task("a bundle", lambda: None)
    assert bundle.retries == RETRIES > 0 and bundle.retry_condition_fn is engine_failed
    assert engine_failed(bundle, None, Failed(data=error)) is again


@pytest.mark.parametrize(("error", "told"), [(EngineError("the server sleeps"), 1), (SpecError("no such model"), 0)])
def test_what_a_bundle_is_tried_again_for_is_told_while_it_happens(error, told):
    said = []

    def make(work, engine, emit):
        raise error

    bundle = bundle_task("a bundle", make)
    work = SimpleNamespace(made_by=SimpleNamespace(run="mine"), stage=SimpleNamespace(name="captions"))
    with pytest.raises(type(error)):
        bundle.fn(work, None, said.append)
    assert [str(one.text) for one in said] == [f"an engine failed and is tried again: {error}"] * told
