"""How fast this package is beside other libraries doing the same work, interleaved in one run."""
