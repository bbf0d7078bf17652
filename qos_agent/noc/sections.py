"""Tables of noc.toml for the machine of the centre: certificates, backups, health."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from qos_agent.config.types import Duration, FilePath, Section, Text, Url


class CaSection(Section):
    """The certificate authority of the centre, and the certificate of the gateway."""

    folder: FilePath | None = Field(
        None,
        description="Folder of keys and certificates; by default ca in folder.",
    )
    warn: Duration = Field(
        30 * 86400.0,
        description="Time before its end from which a certificate is reported.",
    )


class BackupSection(Section):
    """The backups of the centre, each night."""

    folder: FilePath | None = Field(
        None, description="Folder of the backups; without one there are none."
    )
    keep: int = Field(14, ge=1, le=1000, description="Number of backups that are kept.")
    age: Duration = Field(
        26 * 3600.0, description="Age from which the newest backup is reported."
    )
    grafana: FilePath | None = Field(
        None, description="Database of Grafana, such as /var/lib/grafana/grafana.db."
    )
    config: FilePath | None = Field(
        None, description="Folder with configuration and keys, encrypted in the backup."
    )
    recovery_cert_file: FilePath | None = Field(
        None, description="Certificate of the recovery key, which encrypts them."
    )
    influxdb: tuple[Text, ...] = Field(
        (), description="Databases of InfluxDB 1.8 that are copied, each day's changes."
    )
    influxdb_address: Text = Field(
        "127.0.0.1:8088", description="Address of InfluxDB for `influxd backup`."
    )
    influxdb_folder: FilePath = Field(
        Path("/var/lib/influxdb"), description="Folder of InfluxDB, for a restore."
    )


class HealthSection(Section):
    """The parts of the centre that `noc health` checks besides the collectors."""

    gateway: Url | None = Field(
        None, description="URL of the gateway; by default provision.endpoint."
    )
    disks: tuple[FilePath, ...] = Field(
        (), description="Folders whose disk is checked besides folder."
    )
    disk_share: float = Field(
        0.85, gt=0, lt=1, description="Share in use from which a disk is reported."
    )
