"""Check that a supernet fits into the memory, before it is allocated."""

from keras_evonas.models.costs.device import available_bytes


def check_memory(needed: int, available: int | None = None) -> None:
    """Checks that there is room for the state of a supernet.

    Args:
        needed: Integer, the bytes of all weights and of the optimizer's memory
            of them.
        available: Integer, the bytes that are free. Defaults to those of this
            machine or of its container.

    Raises:
        MemoryError: If there is not.
    """
    if available is None:
        available = available_bytes()
    if needed > available:
        raise MemoryError(
            "`hypermodel` must have a supernet that fits into the memory. "
            f"Received: one whose weights and the optimizer's memory of them "
            f"take {needed:,} bytes, where {available:,} are free. Give it "
            "fewer options, or smaller largest widths and depths; hold some "
            "hyperparameters with `held`; or take an optimizer that remembers "
            "less, such as SGD without momentum."
        )
