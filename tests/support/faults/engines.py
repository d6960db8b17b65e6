"""Faults in the engines of `models/` (captioners, renderers) and in the processes that hold them."""

from support.faults.fault import Fault

CAPTIONERS = "tests/models/captioner/test_captioners.py"
OPENAI = "tests/models/captioner/test_openai.py"
ENGINES = "tests/tasks/test_engines.py"

FAULTS = (
    Fault(
        "nucleus-without-its-last-token",
        "models/captioner/nucleus.py",
        "up_to_NH - probability_NH >= top_p",
        "up_to_NH >= top_p",
        ("tests/models/captioner/test_nucleus.py",),
    ),
    Fault(
        "wrong-request-is-sent-again",
        "models/captioner/server.py",
        "AGAIN_LATER = {408, 409, 425, 429}",
        "AGAIN_LATER = {400, 404, 408, 409, 425, 429}",
        (OPENAI,),
    ),
    Fault(
        "key-is-shown-in-an-error",
        "models/captioner/server.py",
        'words = words.replace(self.key, "***") if self.key else words',
        "words = words.strip()",
        (OPENAI,),
    ),
    Fault(
        "texts-are-drawn-by-their-place-in-the-batch",
        "models/captioner/transformers.py",
        "generator=torch.Generator().manual_seed(ask.seed), dtype=torch.float64)\n            for ask in asks",
        "generator=torch.Generator().manual_seed(row), dtype=torch.float64)\n            for row, _ in enumerate(asks)",
        ("tests/models/captioner/test_transformers.py",),
        slow=True,
    ),
    Fault(
        "vllm-draws-without-the-seed",
        "models/captioner/vllm.py",
        "seed=ask.seed,",
        "seed=None,",
        (f"{CAPTIONERS}::test_keeps_its_promises[vllm-texts]",),
        slow=True,
    ),
    Fault(
        "what-vllm-cut-off-looks-ended",
        "models/captioner/vllm.py",
        'if completion.finish_reason == "stop" else ""',
        'if completion.finish_reason != "abort" else ""',
        (f"{CAPTIONERS}::test_a_completion_that_was_cut_has_no_line_break_and_the_others_have[vllm-texts]",),
        slow=True,
    ),
    Fault(
        "noise-by-the-place-in-the-batch",
        "models/renderer/diffusion.py",
        'torch.Generator("cpu").manual_seed(request.seed) for request in requests',
        'torch.Generator("cpu").manual_seed(row) for row, _ in enumerate(requests)',
        (
            "tests/models/renderer/test_batches.py::test_an_image_of_the_tiny_model_follows_from_its_seed_and_text_wherever_it_stands_in_a_batch",
        ),
    ),
    Fault(
        "lora-without-its-scale",
        "models/renderer/loading.py",
        "pipeline.set_adapters(names, [lora.scale for _, lora in loras])",
        "pipeline.set_adapters(names)",
        ("tests/models/renderer/test_loras.py::test_it_changes_the_images_by_its_scale_and_is_recorded",),
    ),
    Fault(
        "engine-outlives-its-stage",
        "tasks/engines.py",
        "self._let_go(patience=END_SECONDS)",
        "pass",
        (f"{ENGINES}::test_the_process_and_so_its_gpu_memory_is_gone_when_the_stage_ends",),
    ),
    Fault(
        "engine-outlives-a-killed-parent",
        "tasks/engines.py",
        "    _events = events\n    end_with_parent()\n",
        "    _events = events\n",
        (f"{ENGINES}::test_a_killed_parent_takes_its_engine_along",),
    ),
    Fault(
        "failed-engine-is-used-again",
        "tasks/engines.py",
        "a retry gets a new one.\n                self._let_go()\n",
        "a retry gets a new one.\n",
        (f"{ENGINES}::test_after_a_failure_of_the_engine_the_next_call_starts_another_and_after_a_wrong_request_not",),
    ),
    Fault(
        "engine-of-other-settings-is-kept",
        "tasks/engines.py",
        "key = (build.__qualname__, spec.model_dump_json())",
        "key = (build.__qualname__, type(spec).__name__)",
        (f"{ENGINES}::test_an_engine_is_built_once_per_spec_and_only_one_is_kept",),
    ),
    Fault(
        "wrong-request-is-retried",
        "flows/execution/bundle_task.py",
        "return isinstance(state.result(raise_on_failure=False), EngineError)",
        "return isinstance(state.result(raise_on_failure=False), Exception)",
        ("tests/flows/execution/test_bundle_task.py",),
    ),
    Fault(
        "another-model-of-the-same-name",
        "tasks/bundles.py",
        "[found.id, found.revision] != list(planned):",
        "found.id != planned[0]:",
        ("tests/flows/execution/test_run_bundles.py::test_a_model_that_is_not_the_planned_one_makes_nothing",),
    ),
)
