"""What runs any study: configuration, units of work, executors, folder, report."""
