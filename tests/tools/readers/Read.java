import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Enumeration;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;

/**
 * Reads every entry of a zip with {@code ZipFile}, which goes by the central directory, and with {@code ZipInputStream},
 * which goes by the local headers, and prints a JSON line per entry; see ../README.md.
 *
 * <p>{@code java Read.java [--no-stream] ARCHIVE.zip}. The streaming reader can't read an archive with bytes before the
 * first entry, nor a stored entry with a data descriptor: {@code --no-stream} leaves it out for archives that kept those.
 * Java's own API tells no Unix mode, so {@code mode} is absent. Exit code 0 if both agree and nothing is wrong, 1 otherwise.
 */
public final class Read {
    private record Entry(String name, long size, long crc, String sha256, int method) {
        String json() {
            return "{\"name\":" + quote(name) + ",\"size\":" + size + ",\"crc32\":\"" + String.format("%08x", crc)
                    + "\",\"sha256\":\"" + sha256 + "\",\"method\":" + method + "}";
        }
    }

    public static void main(String[] arguments) throws Exception {
        boolean stream = !(arguments.length == 2 && arguments[0].equals("--no-stream"));
        if (arguments.length != (stream ? 1 : 2)) {
            System.err.println("usage: java Read.java [--no-stream] ARCHIVE.zip");
            System.exit(1);
        }
        Path archive = Path.of(arguments[arguments.length - 1]);
        try {
            Map<String, Entry> entries = byDirectory(archive);
            if (stream) {
                requireSame(entries, byLocalHeaders(archive));
            }
            PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
            // The order of the names' UTF-8 bytes, as in the other readers; Java's own is that of UTF-16.
            entries.values().stream()
                    .sorted((a, b) -> Arrays.compareUnsigned(utf8(a.name()), utf8(b.name())))
                    .forEach(entry -> out.println(entry.json()));
            out.flush();
        } catch (IOException | IllegalArgumentException error) {
            System.err.println(archive + ": " + error);
            System.exit(1);
        }
    }

    private static Map<String, Entry> byDirectory(Path archive) throws IOException, NoSuchAlgorithmException {
        Map<String, Entry> entries = new TreeMap<>();
        try (ZipFile file = new ZipFile(archive.toFile())) {
            for (Enumeration<? extends ZipEntry> all = file.entries(); all.hasMoreElements(); ) {
                ZipEntry entry = all.nextElement();
                try (InputStream content = file.getInputStream(entry)) {
                    add(entries, digest(entry, content));
                }
            }
        }
        return entries;
    }

    private static Map<String, Entry> byLocalHeaders(Path archive) throws IOException, NoSuchAlgorithmException {
        Map<String, Entry> entries = new TreeMap<>();
        try (ZipInputStream stream = new ZipInputStream(new BufferedInputStream(Files.newInputStream(archive)))) {
            for (ZipEntry entry; (entry = stream.getNextEntry()) != null; ) {
                add(entries, digest(entry, stream));
            }
        }
        return entries;
    }

    private static void add(Map<String, Entry> entries, Entry entry) throws ZipException {
        if (entries.put(entry.name(), entry) != null) {
            throw new ZipException("a name occurs twice: " + entry.name());
        }
    }

    /** Reads the content, and checks it against what the entry says by then: a data descriptor comes after it. */
    private static Entry digest(ZipEntry entry, InputStream content) throws IOException, NoSuchAlgorithmException {
        MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
        CRC32 crc = new CRC32();
        long size = 0;
        byte[] buffer = new byte[1 << 16];
        for (int n; (n = content.read(buffer)) >= 0; size += n) {
            sha256.update(buffer, 0, n);
            crc.update(buffer, 0, n);
        }
        if (entry.getSize() != size || entry.getCrc() != crc.getValue()) {
            throw new ZipException("size or checksum is wrong: " + entry.getName());
        }
        String hex = HexFormat.of().formatHex(sha256.digest());
        return new Entry(entry.getName(), size, crc.getValue(), hex, entry.getMethod());
    }

    private static void requireSame(Map<String, Entry> directory, Map<String, Entry> stream) throws ZipException {
        for (String name : directory.keySet()) {
            if (!directory.get(name).equals(stream.get(name))) {
                throw new ZipException("directory and local headers disagree: " + directory.get(name) + ", " + stream.get(name));
            }
        }
        if (directory.size() != stream.size()) {
            stream.keySet().removeAll(directory.keySet());
            throw new ZipException("entries that the directory doesn't have: " + stream.keySet());
        }
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> out.append(c < ' ' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
            }
        }
        return out.append('"').toString();
    }
}
