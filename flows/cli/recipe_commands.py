"""Commands about recipe files: which there are, and what may stand in one."""

from flows.cli.options import AsJson
from flows.cli.printing import print_json, print_line, print_result
from flows.runs import recipes


def list_recipes(as_json: AsJson = False) -> None:
    """List the recipes that ship here: what each makes, its command, hardware and models.

    Files in the folder that SYNCLR_RECIPES names are listed too, and win over ours of the same name.
    """
    known = {name: recipes.header(name) for name in recipes.names()}

    def print_known() -> None:
        for name, lines in known.items():
            print_line(name, style="bold")
            print_line("\n".join(f"  {line}" for line in lines))

    print_result(known, as_json, print_known)


def write_schema() -> None:
    """Print the JSON Schema of a recipe file: every setting with its default, bounds and description.

    Editors complete settings by it; the recipes that ship here name it in their first line.
    """
    print_json(recipes.schema())
