"""Run a file as a notebook runs its cells: show what the last line gives.

AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME and AWS_ENDPOINT_URL_STS lead it to another address than AWS's own.
"""

import ast
import sys
from pathlib import Path

tree = ast.parse(Path(sys.argv[1]).read_text(encoding="utf-8"))
last = tree.body.pop()
names: dict[str, object] = {}
exec(compile(tree, sys.argv[1], "exec"), names)
print(eval(compile(ast.Expression(last.value), sys.argv[1], "eval"), names))
