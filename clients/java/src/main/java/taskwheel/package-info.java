/**
 * The client of taskwheel: a task scheduler and run queue behind one gRPC API.
 *
 * <pre>{@code
 * try (Client client = Client.connect("localhost:7420")) {
 *     client.createTask("send-report", "send-report");
 *     Object result = client.runWithResult("send-report", Map.of("to", "ann@example.org"));
 * }
 *
 * Worker worker = Worker.builder("localhost:7420")
 *         .handler("send-report", run -> Map.of("sent", 3))
 *         .build();
 * worker.run();
 * }</pre>
 *
 * <p>The messages of the API are those of {@code taskwheel.v1}, generated from the contract; {@link taskwheel.Json} and
 * {@link taskwheel.Times} turn their parts into values of Java.
 */
package taskwheel;
