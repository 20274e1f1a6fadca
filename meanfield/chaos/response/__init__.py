"""The constants of propagation of chaos by linear response, without a run of N particles."""
