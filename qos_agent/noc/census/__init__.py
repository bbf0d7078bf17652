"""The census: who should report, who does, and how good their links are.

It is taken each minute from the register and from one query per question to each
collector, and ends in lines of line protocol. It writes nothing itself; the service
package does. It may import `register`, `state`, `rollup` and `influx`.
"""
