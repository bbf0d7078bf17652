"""Probes of measurement `web`: the load of a page and the upload of a form bundle."""
