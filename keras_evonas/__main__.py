"""The command line: `python -m keras_evonas COMMAND FOLDER [--flags]`."""

import importlib
import inspect
import os
import sys

from absl import flags

# Each module defines its own flags and a `main(folder)`.
_MODULE_OF = {
    name: f"keras_evonas.commands.{name}"
    for name in ("export", "report", "resume", "status")
}
_USAGE = (
    "Usage: python -m keras_evonas COMMAND FOLDER [--flags], where COMMAND is "
    f"one of {', '.join(_MODULE_OF)}. Add --help after the command for its "
    "flags."
)
_HELP = ("-h", "-help", "--help", "help")


def main() -> None:
    """Runs the command that the command line names."""
    name, *arguments = sys.argv[1:] or [""]
    if name in _HELP:
        print(_USAGE)
        return
    if name not in _MODULE_OF:
        sys.exit(f"{_USAGE} Received: {name!r}.")
    try:
        command = importlib.import_module(_MODULE_OF[name])
        if set(arguments) & set(_HELP[:-1]):
            print(inspect.getdoc(command))
            print(flags.FLAGS.module_help(command))
            return
        _, *folders = flags.FLAGS([name, *arguments])
        if len(folders) != 1:
            sys.exit(f"Name one project folder. Received: {folders}.")
        command.main(folders[0])
        sys.stdout.flush()
    except flags.Error as error:
        sys.exit(f"{error}. Add --help after the command for its flags.")
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Python would complain
        # again when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
