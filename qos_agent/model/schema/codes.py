"""The closed lists: kinds of event, causes of failure, reasons for skipping.

Part of the schema: dashboards, alerts and reports group by these words, so a word
keeps its meaning for ever and later versions only add.
"""

from __future__ import annotations

EVENT_KINDS: dict[str, str] = {
    "start": "the agent started",
    "stop": "the agent stopped in good order",
    "phase": "the election's phase changed",
    "clock_step": "the wall clock was stepped",
    "configuration": "the configuration in force changed",
    "damage": "a damaged journal was moved aside",
    "in_memory": "no folder could be written; the journal is in memory",
    "quarantine": "the collector refused points for good",
    "eviction": "points were removed for want of room",
    "refused": "the schema refused a point; this event stands in its place",
    "pause": "measurements were paused by hand",
    "resume": "measurements were resumed by hand",
}

CAUSES: dict[str, str] = {
    "timeout": "no answer within the waiting time",
    "unreachable": "a router or host answered: unreachable",
    "refused": "the target refused",
    "no_route": "the device has no route to the target",
    "ttl_exceeded": "the probe's hop limit ran out on the way",
    "prohibited": "a router answered: forbidden by policy",
    "name_not_resolved": "the name does not exist or the resolver did not answer",
    "binding": "the kernel would not use the configured link",
    "link_down": "the interface is absent or down",
    "permission": "the agent may not open the socket it needs",
    "reset": "the connection was reset",
    "closed_early": "the connection ended before the data did",
    "stalled": "no data for too long",
    "deadline": "the task's time was up",
    "hung": "the task did not end and was abandoned",
    "tls_expired": "the certificate has expired or is not yet valid",
    "tls_untrusted": "the certificate's issuer is not trusted",
    "tls_name": "the certificate is for another name",
    "tls": "TLS could not be agreed",
    "http_status": "the server answered with an error status",
    "redirected": "the server sent us elsewhere",
    "captive_portal": "something on the way answered in the server's place",
    "bad_answer": "the answer makes no sense",
    "busy": "the server is serving someone else",
    "version": "the server speaks another version",
    "forged": "an answer failed its authentication",
    "allowance": "the data allowance was reached during the task",
    "child_exit": "the child process ended with an error",
    "child_signal": "the child process was killed by a signal",
    "child_output": "the child process wrote no usable answer",
    "missing_tool": "a program the probe needs is not installed",
    "modem": "no modem, or it did not answer",
    "modem_manager": "ModemManager does not run",
    "sim": "the SIM is missing, locked or broken",
    "killed": "the agent was stopped by force during the task",
    "internal": "a fault of the agent's own",
}

REASONS: dict[str, str] = {
    "link_busy": "another test was loading the link",
    "overrun": "the task before was still running",
    "missed": "the device slept or was overloaded",
    "not_running": "the agent was not running",
    "stopping": "the agent was being stopped",
    "paused": "paused by hand",
    "allowance": "the data allowance would be passed",
    "reserve": "what is left is reserved for voting hours",
    "roaming": "the link is roaming",
    "no_server": "no measurement server is configured",
    "stuck": "an abandoned task of this kind has not ended",
}
