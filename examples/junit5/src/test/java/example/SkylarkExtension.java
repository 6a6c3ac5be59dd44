package example;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * A Skylark broker with its NameServer for one test class, on free ports, with a store that goes with it:
 *
 * <pre>
 * &#64;RegisterExtension
 * static final SkylarkExtension SKYLARK = new SkylarkExtension("orders");
 * ...
 * producer.setNamesrvAddr(SKYLARK.namesrvAddr());
 * </pre>
 *
 * The system property skylark.command says how it is started; the default needs the npm package in this folder or globally.
 */
public final class SkylarkExtension implements BeforeAllCallback, ExtensionContext.Store.CloseableResource {
    private static final Pattern NAMESRV = Pattern.compile("The Name Server boot success\\..* address (\\S+)");
    private static final Pattern BROKER = Pattern.compile("The broker\\[.*] boot success\\.");
    private static final long START_LIMIT_S = 30;
    private static final long STOP_LIMIT_S = 30;

    private final List<String> topics;
    private Path home;
    private Process process;
    private String namesrvAddr;

    /** @param topics topics that are to be there before the first client asks */
    public SkylarkExtension(String... topics) {
        this.topics = List.of(topics);
    }

    /** host:port */
    public String namesrvAddr() {
        return namesrvAddr;
    }

    @Override
    public void beforeAll(ExtensionContext context) throws Exception {
        context.getStore(ExtensionContext.Namespace.GLOBAL).put(this, this);
        home = Files.createTempDirectory("skylark");
        List<String> command = new ArrayList<>(List.of(System.getProperty("skylark.command", "npx --no-install skylark").split(" ")));
        command.addAll(List.of("start", "--store", home.resolve("store").toString()));
        command.addAll(List.of("--namesrv-port", "0", "--listen-port", "0", "--grpc-port", "0"));
        if (!topics.isEmpty()) {
            Path file = home.resolve("topics.json");
            Files.writeString(file, "[\"" + String.join("\",\"", topics) + "\"]");
            command.addAll(List.of("--topics", file.toString()));
        }
        Path log = home.resolve("skylark.log");
        process = new ProcessBuilder(command).redirectError(log.toFile()).start();
        CompletableFuture<String> ready = new CompletableFuture<>();
        Thread reader = new Thread(() -> read(ready), "skylark-output");
        reader.setDaemon(true);
        reader.start();
        try {
            namesrvAddr = ready.get(START_LIMIT_S, TimeUnit.SECONDS);
        } catch (Exception e) {
            throw new IllegalStateException("Skylark did not start: " + String.join(" ", command) + "\n" + Files.readString(log), e);
        }
    }

    /** Waits for the two ready lines, then reads on, so that the process never blocks on its output. */
    private void read(CompletableFuture<String> ready) {
        String found = null;
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                Matcher matcher = NAMESRV.matcher(line);
                if (matcher.find()) {
                    found = matcher.group(1);
                } else if (BROKER.matcher(line).find()) {
                    ready.complete(found);
                }
            }
            ready.completeExceptionally(new IllegalStateException("it ended before it was ready"));
        } catch (IOException e) {
            ready.completeExceptionally(e);
        }
    }

    /** Ends the server in order and removes its files. */
    @Override
    public void close() throws Exception {
        if (process != null) {
            // npx starts further processes: the server is the last of them.
            List<ProcessHandle> all = new ArrayList<>(process.descendants().toList());
            all.add(process.toHandle());
            all.forEach(ProcessHandle::destroy);
            for (ProcessHandle one : all) {
                one.onExit().get(STOP_LIMIT_S, TimeUnit.SECONDS);
            }
        }
        try (var files = Files.walk(home)) {
            for (Path path : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }
}
