"""The automation for runs that say nothing is written down once, and again only where it is another."""

import pytest
from prefect.automations import Automation

from flows.server import deployments
from flows.server.deployments import _notice_silence, _register

pytestmark = pytest.mark.slow(15)


def test_an_automation_is_changed_only_where_it_is_another(on_the_server, monkeypatch):
    changed = []
    update = Automation.update
    monkeypatch.setattr(Automation, "update", lambda self: changed.append(self.description) or update(self))
    for _ in range(2):
        _register(_notice_silence())
    assert changed == [], "each change makes the server read all automations again"
    other = _notice_silence().model_copy(update={"description": "another"})
    _register(other)
    there = Automation.read(name=other.name)
    there.delete()
    assert changed == ["another"] and there.description == "another"
    assert there.model_dump(exclude=deployments.BY_SERVER) == other.model_dump(exclude=deployments.BY_SERVER)
