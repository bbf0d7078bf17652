"""Configuration: files, environment and credentials in, frozen settings out.

Every setting, its default and its check is defined here, and every configuration
error is worded here. This package measures and schedules nothing. It may import
`evidence`, `system` and `model`.
"""
