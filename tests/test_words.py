"""The package says what it does in plain words."""

import ast
import collections
import io
import pathlib
import re
import tokenize
from collections.abc import Iterator

import keras_evonas

ROOT = pathlib.Path(keras_evonas.__file__).parent
TEXTS = {
    path.relative_to(ROOT).with_suffix("").as_posix(): path.read_text("utf-8")
    for path in sorted(ROOT.rglob("*.py"))
}
# A docstring begins with a verb in the third person, or names the thing.
QUESTIONS = re.compile(
    r"(What|Who|Whom|Whose|How|Whether|Where|When|Which|Why|Tells)\b"
)
PRONOUNS = re.compile(
    r"\b(nobody|somebody|anybody|whoever|whomever)\b", re.IGNORECASE
)


def _docstrings(text: str) -> Iterator[tuple[int, str]]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, documented) and (doc := ast.get_docstring(node)):
            yield node.body[0].lineno, doc


def _words(text: str) -> Iterator[tuple[int, str]]:
    """Lines of comments and strings, docstrings included."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _by_room(found: list[str]) -> str:
    rooms = collections.Counter(re.split(r"[/:]", one)[0] for one in found)
    return "\n".join([str(dict(rooms)), *found])


def test_docstrings_open_with_a_verb_or_a_noun():
    docstrings = [
        (f"{name}:{line}", doc)
        for name, text in TEXTS.items()
        for line, doc in _docstrings(text)
    ]
    questions = [
        f"{place} {doc.splitlines()[0]}"
        for place, doc in docstrings
        if QUESTIONS.match(doc)
    ]
    assert len(questions) <= 0.01 * len(docstrings), _by_room(questions)


def test_no_pronoun_stands_for_a_person():
    found = [
        f"{name}:{line} {match[0]}"
        for name, text in TEXTS.items()
        for line, words in _words(text)
        for match in PRONOUNS.finditer(words)
    ]
    assert not found, _by_room(found)
