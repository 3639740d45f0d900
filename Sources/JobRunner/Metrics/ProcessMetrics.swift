/// The process' own figures, under the names that Prometheus' client libraries agreed on.
struct ProcessMetrics: Sendable {
  private let start = GaugeFamily(
    MetricDescription(
      "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", unit: "seconds"))
  private let cpu = CounterFamily(
    MetricDescription("process_cpu_seconds", "Total user and system CPU time spent in seconds.", unit: "seconds"))
  private let resident = GaugeFamily(
    MetricDescription("process_resident_memory_bytes", "Resident memory size in bytes.", unit: "bytes"))
  private let virtual = GaugeFamily(
    MetricDescription("process_virtual_memory_bytes", "Virtual memory size in bytes.", unit: "bytes"))
  private let openFiles = GaugeFamily(MetricDescription("process_open_fds", "Number of open file descriptors."))
  private let fileLimit = GaugeFamily(MetricDescription("process_max_fds", "Maximum number of open file descriptors."))
  private let threads = GaugeFamily(MetricDescription("process_threads", "Number of threads of the process."))

  var families: [any MetricFamily] { [start, cpu, resident, virtual, openFiles, fileLimit, threads] }

  /// Takes figures over; what could not be read is no series.
  func update(_ figures: ProcessFigures) {
    start.show(figures.startSeconds)
    cpu.replaceAll(figures.cpuSeconds.map { [([], $0)] } ?? [])
    resident.show(figures.residentBytes)
    virtual.show(figures.virtualBytes)
    openFiles.show(figures.openFiles)
    fileLimit.show(figures.fileLimit)
    threads.show(figures.threads)
  }
}
