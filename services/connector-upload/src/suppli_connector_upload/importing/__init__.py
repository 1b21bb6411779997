"""An import, from the stored file to what is recorded of it."""
