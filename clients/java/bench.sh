# The benchmarks of the Java client: see src/test/java/taskwheel/bench/Bench.java.
cd "$(dirname "$0")" && exec java -cp "target/classes:target/test-classes:$(cat target/classpath)" taskwheel.bench.Bench "$@"
