import org.flywaydb.core.Flyway;

/** Flyway through its library: less to start than its command line. */
public class FlywayMigrate {
    public static void main(String[] args) {
        Flyway.configure()
            .dataSource(args[0], args[1], System.getenv("PGPASSWORD"))
            .locations("filesystem:" + args[2])
            // Some benches put a table of their own into the database before.
            .baselineOnMigrate(true)
            .baselineVersion("0")
            .load()
            .migrate();
    }
}
