"""What tests of files of sales need: files as programs write them, and a file read in one call."""
