"""Pure array steps, one physical effect a module: arrays in, new arrays out."""
