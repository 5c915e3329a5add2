"""The command line: `python -m keras_evonas COMMAND FOLDER`."""

import importlib
import sys

from absl import app

# Each module defines its own flags and a `main(argv)`.
_MODULE_OF = {
    "export": "keras_evonas.commands.export",
    "report": "keras_evonas.commands.report",
    "resume": "keras_evonas.commands.resume",
    "status": "keras_evonas.commands.status",
}


def main() -> None:
    """Runs the command that the command line names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    usage = (
        "Usage: python -m keras_evonas COMMAND FOLDER [--flags], where COMMAND "
        f"is one of {', '.join(sorted(_MODULE_OF))}. Add --help after the "
        "command for its flags."
    )
    if name in ("-h", "--help", "help"):
        print(usage)
        return
    if name not in _MODULE_OF:
        sys.exit(f"{usage} Received: {name!r}.")
    module = importlib.import_module(_MODULE_OF[name])
    app.run(module.main, argv=[f"keras_evonas {name}", *sys.argv[2:]])


if __name__ == "__main__":
    main()
