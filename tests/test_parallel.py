"""Where tasks run, and what is said of an address that is none."""

import pytest

from induction_heads.parallel import machines


@pytest.mark.parametrize("address", ["localhost", "tcp://localhost", "odd://10.0.0.5:8786"])
def test_what_is_not_the_address_of_a_scheduler_is_named(address: str):
    with (
        pytest.raises(OSError, match=f"'{address}' is not the address of a Dask scheduler"),
        machines(address, 1),
    ):
        pytest.fail("nothing can run there")
