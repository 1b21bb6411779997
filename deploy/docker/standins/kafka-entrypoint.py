#!/usr/bin/env python3
"""As much of the official Kafka image's contract as the compose file uses: KAFKA_* variables become settings,
the first start formats the storage under CLUSTER_ID.
"""

import os
import subprocess
from pathlib import Path

JVM = ["-Xms96m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]
JAVA = [
    "/opt/java/bin/java",
    *JVM,
    "-Dlog4j2.configurationFile=/opt/kafka/log4j2.properties",
    "-cp",
    "/opt/kafka/libs/*",
]
PROPERTIES = Path("/tmp/server.properties")  # noqa: S108 - the container's own


def main() -> None:
    """Write the settings, format the storage if it is new and become the broker."""
    settings = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in os.environ.items()
        if name.startswith("KAFKA_")
    }
    PROPERTIES.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    if not (Path(settings["log.dirs"]) / "meta.properties").exists():
        tool = "kafka.tools.StorageTool"
        subprocess.run([*JAVA, tool, "format", "-t", os.environ["CLUSTER_ID"], "-c", PROPERTIES], check=True)
    os.execv(JAVA[0], [*JAVA, "kafka.Kafka", str(PROPERTIES)])  # noqa: S606 - becomes the broker


if __name__ == "__main__":
    main()
