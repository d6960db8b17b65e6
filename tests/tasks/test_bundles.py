"""Only what may succeed at another try is tried again."""

import pytest
from prefect.states import Failed

from data_specs.errors import ContractError, EngineError, SpecError, StoppedError
from tasks.bundles import RETRIES, bundle_task, engine_failed


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
    bundle = bundle_task("a bundle")(lambda: None)
    assert bundle.retries == RETRIES > 0 and bundle.retry_condition_fn is engine_failed
    assert engine_failed(bundle, None, Failed(data=error)) is again
