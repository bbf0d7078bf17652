"""Configuration: files, environment and credentials in, frozen settings out.

Every setting, its default and its check is defined here, and every configuration
error is worded here. It may import `evidence`, `system` and `model`; it measures and
schedules nothing.
"""
