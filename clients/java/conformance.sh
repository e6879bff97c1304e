# The driver of Java for the table of behaviours: see tests/conformance/README.md. Quick to start rather than to run.
cd "$(dirname "$0")" && exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto \
    -cp "target/classes:target/test-classes:$(cat target/classpath)" taskwheel.conformance.Driver
