"""Write each command's help into the README anew; `make fix` runs it."""

import re

from test_readme import README, ROOT, shown


def fresh(found: re.Match[str]) -> str:
    return f"<!-- help: {found[1]} -->\n\n```text\n{shown(found[1]).strip()}\n```"


if __name__ == "__main__":
    text = re.sub(r"<!-- help: (.*?) -->\n\n```text\n.*?```", fresh, README, flags=re.DOTALL)
    (ROOT / "README.md").write_text(text)
