"""Tables that the configurations of several studies share."""
