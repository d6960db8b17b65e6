"""The prompt that is built again from a caption's record is the one that the language model was given, or says that it is not."""

from pathlib import Path

import pytest

from flows.inspect import prompt
from flows.inspect.prompt import prompt_turns
from flows.inspect.trace import trace_in
from flows.runs.lineages import rows
from flows.runs.plan import RunPlan
from models.captioner.fake import FakeCaptioner
from models.captioner.protocol import prompt_digest
from support.made_up_run import make_run
from tasks.captions.compose import CaptionInputs, compose_shard
from tasks.captions.prompt_files import load_prompts
from tasks.captions.unsafe_words import UnsafeWords


def composed(root: Path, **captions: object) -> RunPlan:
    plan = make_run(str(root), until="concepts", captions=captions)
    spec = plan.spec.captions
    inputs = CaptionInputs(plan.stages["concepts"].table, load_prompts(spec.prompts), UnsafeWords(()))
    compose_shard(inputs, plan.stages["captions"].shard(1), FakeCaptioner(0.4), spec, seed=plan.spec.seed)
    return plan


@pytest.mark.parametrize("chat", [False, True])
def test_it_has_the_digest_of_the_record_whichever_attempt_succeeded(tmp_path: Path, chat: bool) -> None:
    plan = composed(tmp_path, chat=chat, attempts=4, min_kept=0.0)
    found = rows(plan.stages["captions"].shard(1))
    assert {row["attempt"] for row in found} >= {0, 1}
    for row in found:
        turns, note = prompt_turns(plan, trace_in(plan, row["id"], 1))
        told = turns if chat else turns[0].text
        assert (prompt_digest(told), note) == (row["prompt_digest"], "") and len(turns) == (8 if chat else 1)


def test_prompt_files_that_were_edited_or_are_gone_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = composed(tmp_path)
    row = rows(plan.stages["captions"].shard(1))[0]
    traced = trace_in(plan, row["id"], 1)
    edited = load_prompts("synclr")
    monkeypatch.setattr(prompt, "_prompts", lambda _name: edited)
    assert row["prompt_digest"] in prompt_turns(plan, traced)[1]
    prompt_gone = plan.model_copy(
        update={
            "spec": plan.spec.model_copy(
                update={"captions": plan.spec.captions.model_copy(update={"prompts": str(tmp_path / "gone")})}
            )
        }
    )
    monkeypatch.undo()
    turns, note = prompt_turns(prompt_gone, traced)
    assert turns == () and note.startswith("the prompt files are not here any more: captions.prompts")
