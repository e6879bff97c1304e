package taskwheel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The programs of the README, as pasted. */
@Timeout(60)
class ReadmeTest {
    private static final Pattern JAVA = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);

    private static final String IMPORTS =
            "import java.nio.file.*; import java.time.*; import java.util.*; import java.util.concurrent.*;"
                    + "import taskwheel.*; import taskwheel.v1.*;";

    private static List<String> programs() throws IOException {
        return JAVA.matcher(Files.readString(Path.of("README.md"))).results()
                .map(found -> found.group(1))
                .toList();
    }

    private static void compile(Path folder, String name, String source) throws IOException {
        Path file = Files.writeString(folder.resolve(name + ".java"), source);
        int status = ToolProvider.getSystemJavaCompiler().run(null, null, null, "-d", folder.toString(), file.toString());
        assertEquals(0, status, source);
    }

    @Test
    void theFirstProgramPrintsWhatItIsSaidTo(@TempDir Path folder) throws Exception {
        String address = LiveServer.shared().address;
        compile(folder, "Hello", programs().get(0).replace("localhost:7420", address));
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PrintStream before = System.out;
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try (URLClassLoader loader = new URLClassLoader(new URL[] {folder.toUri().toURL()})) {
            loader.loadClass("Hello").getMethod("main", String[].class).invoke(null, (Object) new String[0]);
        } finally {
            System.setOut(before);
        }
        assertEquals("{text=Hello, Ann}", printed.toString(StandardCharsets.UTF_8).strip());
        assertTrue(Files.readString(Path.of("README.md")).contains("It prints `{text=Hello, Ann}`"));
    }

    @Test
    void theOthersCompile(@TempDir Path folder) throws IOException {
        List<String> programs = programs();
        for (int index = 1; index < programs.size(); index++) {
            String name = "Program" + index;
            compile(folder, name, IMPORTS + "class " + name + " { void call() {" + programs.get(index) + "} }");
        }
    }
}
