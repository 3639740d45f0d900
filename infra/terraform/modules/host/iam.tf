# The instance's role. It may ask KMS, and alone it is given nothing: the key policies release to attested enclaves only,
# and deny everyone else explicitly.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

data "aws_iam_policy_document" "instance_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "instance" {
  name               = var.role_name
  assume_role_policy = data.aws_iam_policy_document.instance_trust.json
}

resource "aws_iam_instance_profile" "instance" {
  name = var.role_name
  role = aws_iam_role.instance.name
}

data "aws_iam_policy_document" "instance" {
  statement {
    sid       = "AskForKeys"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = var.key_arns
  }
  statement {
    sid     = "ReadTheStore"
    actions = ["s3:GetObject"]
    resources = [
      for part in ["policy", "inbox", "models", "epochs", "jobs", "host", "release"] : "${aws_s3_bucket.store.arn}/${part}/*"
    ]
  }
  statement {
    sid       = "WriteResultsAndEpochs"
    actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
    resources = [for part in ["epochs", "jobs", "host"] : "${aws_s3_bucket.store.arn}/${part}/*"]
  }
  statement {
    # Retiring an epoch on this host, and the doctor's probe. The bucket is versioned, so that nothing is lost by it.
    sid       = "RetireEpochs"
    actions   = ["s3:DeleteObject"]
    resources = [for part in ["epochs", "host/doctor"] : "${aws_s3_bucket.store.arn}/${part}/*"]
  }
  statement {
    sid       = "ListTheStore"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.store.arn]
  }
  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = ["${aws_cloudwatch_log_group.host.arn}:*"]
  }
  statement {
    # checkov:skip=CKV_AWS_111: PutMetricData knows no resources; the namespace is held instead
    # checkov:skip=CKV_AWS_356: as above
    sid       = "WriteMetrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = [var.name]
    }
  }
}

resource "aws_iam_role_policy" "instance" {
  name   = "ephemeral"
  role   = aws_iam_role.instance.id
  policy = data.aws_iam_policy_document.instance.json
}

resource "aws_iam_role_policy_attachment" "ssm" {
  role       = aws_iam_role.instance.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}
