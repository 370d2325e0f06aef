"""Cut-outs from the replica that is nearest to the service: SODA 1.0, and the same for maps of bodies."""
