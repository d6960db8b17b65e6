"""No evaluation style may reach the generator: its training code names no such sheet and opens none."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
TRAINING = [ROOT / "flows/train_tiny_renderer.py", ROOT / "models/renderer/tiny_training.py"]
TRAINING += [
    path for path in (ROOT / "tasks/tiny_world").glob("*.py") if path.name not in ("sprites.py", "build_art.py")
]


def test_no_training_module_names_the_evaluation_sheets() -> None:
    for path in TRAINING:
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        names |= {
            a.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) for a in n.names
        }
        assert not names & {"evaluation_sheets", "read_sheets"}, path


def test_rendering_the_training_set_opens_no_evaluation_file(tmp_path: Path) -> None:
    program = f"""
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from pathlib import Path
from tasks.tiny_world.picture_set import render_split
render_split(Path({str(tmp_path)!r}), "training", 12, 1)
assert any("tiny_world/training" in path for path in opened)
assert not [path for path in opened if "tiny_world/evaluation" in path]
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
