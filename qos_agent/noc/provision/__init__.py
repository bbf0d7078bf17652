"""Provisioning: a credential, a configuration and an enrolment code per station.

`ledger` records each issue and its history, `vault` encrypts for the centre, `making`
issues for many stations, and `answers` and `server` enrol the devices.
"""
