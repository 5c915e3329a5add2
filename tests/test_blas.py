import numpy  # noqa: F401, loads the library
import threadpoolctl

from keras_evonas.blas import one_blas_thread


def test_one_thread_inside_and_as_before_outside():
    def threads():
        return [
            library["num_threads"]
            for library in threadpoolctl.threadpool_info()
            if library["user_api"] == "blas"
        ]

    before = threads()
    assert before  # NumPy's own at least
    with one_blas_thread():
        assert set(threads()) == {1}
    assert threads() == before
