"""The closed lists: kinds of event, causes of failure and reasons for skipping.

They are part of the schema, because dashboards, alerts and reports group by these
codes. A code never changes its meaning, and later versions only add codes.
"""

from __future__ import annotations

EVENT_KINDS: dict[str, str] = {
    "start": "The agent started.",
    "stop": "The agent stopped normally.",
    "phase": "The phase of the election changed.",
    "clock_step": "The wall clock was stepped.",
    "configuration": "The configuration in force changed.",
    "damage": "A damaged journal was moved aside.",
    "in_memory": "No folder was writable; the journal is in memory.",
    "quarantine": "The collector rejected points permanently.",
    "eviction": "Points were removed to free space.",
    "refused": "A point did not match the schema; this event replaces it.",
    "pause": "An operator paused measurements.",
    "resume": "An operator resumed measurements.",
    "remote_accepted": "The device accepted a remote configuration.",
    "remote_refused": "The device refused a remote configuration, or it expired.",
    "acceptance": "A technician set up the device; the detail has result and receipt.",
    "seal_invalid": "Witness: a seal is malformed, or its signature is wrong.",
    "seal_unknown_key": "Witness: no registered key of the station signed a seal.",
    "seal_inconsistent": "Witness: a seal does not continue the one before.",
    "seal_forked": "Witness: two seals of one journal contradict each other.",
    "seal_two_journals": "Witness: two journals were written under one key.",
    "seal_foreign_points": "Witness: a station has points without a seal.",
    "seal_handover": "Witness: a journal or a key was handed over.",
    "seal_missing": "Witness: a seal has not arrived, but a later one has.",
    "seal_resumed": "Witness: an operator resumed cosigning after a lost seal.",
    "seal_late": "Witness: the newest seal of a station is too old.",
    "internal_error": "An internal error (bug) stopped a part; it was restarted.",
}

CAUSES: dict[str, str] = {
    "timeout": "No response within the waiting time.",
    "unreachable": "A router or host reported the target as unreachable.",
    "refused": "The target refused the connection or request.",
    "no_route": "The device has no route to the target.",
    "ttl_exceeded": "The hop limit of the packet was exceeded on the path.",
    "prohibited": "A router reported that its policy forbids the packet.",
    "name_not_resolved": "The name does not exist, or the resolver did not respond.",
    "outside_resolver": (
        "A forwarder on the device, outside the link, did not resolve the name."
    ),
    "no_resolver": "No name server of the link is known, so no name can be resolved.",
    "bad_address": "The target's address is not that of a host on this link.",
    "binding": "The kernel could not use the configured link.",
    "link_down": "The interface is missing or down.",
    "permission": "The agent has no permission for the socket that it needs.",
    "reset": "The connection was reset.",
    "closed_early": "The connection was closed before all data had arrived.",
    "stalled": "No data arrived for too long.",
    "deadline": "The time limit of the task was reached.",
    "hung": "The task did not end and was abandoned.",
    "tls_expired": "The certificate has expired or is not yet valid.",
    "tls_untrusted": "The issuer of the certificate is not trusted.",
    "tls_name": "The certificate is for another name.",
    "tls": "The TLS handshake failed for another reason.",
    "http_status": "The server responded with an error status.",
    "redirected": "The server redirected the request to another address.",
    "captive_portal": "Another system on the path responded instead of the server.",
    "bad_answer": "The response was not valid.",
    "busy": "The server was busy with another client.",
    "version": "The server uses another version of the protocol.",
    "forged": "The authentication of a response failed.",
    "allowance": "The data allowance was reached during the task.",
    "child_exit": "The child process ended with an error.",
    "child_signal": "The child process was killed by a signal.",
    "child_output": "The output of the child process was not usable.",
    "missing_tool": "A program that the probe needs is not installed.",
    "modem": "There is no modem, or it did not respond.",
    "modem_manager": "ModemManager is not running.",
    "sim": "The SIM is missing, locked or defective.",
    "killed": "The agent was killed during the task.",
    "internal": "Internal error (bug) of the agent.",
}

REASONS: dict[str, str] = {
    "link_busy": "Another test was using the full link.",
    "overrun": "The previous task was still running.",
    "missed": "The device was suspended or overloaded.",
    "not_running": "The agent was not running.",
    "stopping": "The agent was stopping.",
    "paused": "An operator paused the probe.",
    "paused_by_centre": "The operations centre paused the probe.",
    "allowance": "The task would exceed the data allowance.",
    "reserve": "The remaining data is reserved for voting hours.",
    "roaming": "The link is roaming.",
    "no_server": "No measurement server is configured.",
    "no_family": "The link has a route only for the other IP version.",
    "resolver_unknown": (
        "Only a forwarder on the device is known, not the resolver of the link."
    ),
    "stuck": "An abandoned task of this probe is still running.",
}
