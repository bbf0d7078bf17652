"""Tests of the documents: links, commands and generated pages."""
