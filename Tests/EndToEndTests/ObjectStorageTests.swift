import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// The same over S3, with a server on loopback.
  @Suite("S3")
  struct ObjectStorage {
    @Test(
      "A job over S3, from submit to a verified receipt, with every party at its own process, told of by the event queue",
      .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
    func wholeWay() throws {
      let python = try Need.moto.require()
      let moto = try MotoProcess()
      defer { withExtendedLifetime(moto) {} }
      var environment = moto.environment
      let endpoint = moto.endpoint
      environment["EPHEMERAL_EVENT_QUEUE"] = try eventQueue(python, endpoint, environment, moto.folder)
      // It looks at its inbox once an hour, so that only the bucket's events can tell it of a job.
      let office = try Office(
        over: ("s3://bucket/tests?endpoint=\(endpoint)&region=us-east-1", environment), poll: "3600")
      defer {
        office.daemon.stop()
        office.worker.stop()
      }
      let job = try office.submit([try office.documents(10, named: "s3")])
      let watched = try office.watch(job)
      #expect(watched.status == 0, "\(watched.errors)\n\(office.daemon.errors.suffix(2000))")
      let results = office.newFolder()
      let got = try office.ephemeral(["results", "get", job, "--output", results])
      #expect(got.status == 0, "\(got.errors)")
      #expect(got.output.contains("receipt verified: completed, 10 items, 0 failed"))
    }

    /// Makes a queue that hears of every object below the tests' inbox; its URL.
    private func eventQueue(
      _ python: URL, _ endpoint: String, _ environment: [String: String], _ folder: String
    ) throws -> String {
      let script = """
        import sys, boto3
        make = lambda service: boto3.client(service, endpoint_url=sys.argv[1], region_name="us-east-1")
        url = make("sqs").create_queue(QueueName="inbox")["QueueUrl"]
        arn = make("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        make("s3").put_bucket_notification_configuration(Bucket="bucket", NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {
                "FilterRules": [{"Name": "prefix", "Value": "tests/inbox/"}]}}}]})
        print("/".join(url.split("/")[-2:]))
        """
      let made = try TheatreProcess(
        python, ["-c", script, endpoint], environment: environment.merging(["PATH": "/usr/bin:/bin"]) { $1 },
        directory: folder, logs: folder + "/queue")
      guard try made.wait() == 0 else { throw TheatreError("no event queue: \(made.tail)") }
      return endpoint + "/" + made.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
  }
}
