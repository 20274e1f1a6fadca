"""L-layer networks, of finite and of infinite width."""
