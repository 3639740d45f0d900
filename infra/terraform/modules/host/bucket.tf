# The store. All of it is ciphertext or signed and public; S3's own encryption is for compliance, not for secrecy.

resource "aws_s3_bucket" "store" {
  # checkov:skip=CKV_AWS_144: replication is the owner's choice; clients keep every sealed bundle until its receipt verified
  # checkov:skip=CKV_AWS_145: contents are sealed to the enclave; a KMS key of the host adds no secrecy and one more thing that can be lost
  # checkov:skip=CKV_AWS_18: who fetched which ciphertext is in CloudTrail's data events, where the account turns them on
  # checkov:skip=CKV2_AWS_62: the daemon lists the inbox; an event would only be a hint
  bucket_prefix       = "${var.name}-"
  object_lock_enabled = var.object_lock_days > 0

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_ownership_controls" "store" {
  bucket = aws_s3_bucket.store.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "store" {
  bucket                  = aws_s3_bucket.store.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "store" {
  bucket = aws_s3_bucket.store.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "store" {
  bucket = aws_s3_bucket.store.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_object_lock_configuration" "store" {
  count  = var.object_lock_days > 0 ? 1 : 0
  bucket = aws_s3_bucket.store.id
  rule {
    default_retention {
      mode = "COMPLIANCE"
      days = var.object_lock_days
    }
  }
  depends_on = [aws_s3_bucket_versioning.store]
}

# Current versions stay: a receipt is evidence for years, and results are their owners' to delete.
resource "aws_s3_bucket_lifecycle_configuration" "store" {
  bucket = aws_s3_bucket.store.id
  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = max(var.noncurrent_days, var.object_lock_days)
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  depends_on = [aws_s3_bucket_versioning.store]
}

locals {
  # Whoever fetches results, of one tenant or of none.
  submitters = distinct(concat(var.submitter_arns, flatten(values(var.tenants))))
}

data "aws_iam_policy_document" "store" {
  statement {
    sid       = "TLSOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.store.arn, "${aws_s3_bucket.store.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
  statement {
    sid       = "ModernTLSOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.store.arn, "${aws_s3_bucket.store.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "NumericLessThan"
      variable = "s3:TlsVersion"
      values   = ["1.2"]
    }
  }

  dynamic "statement" {
    for_each = length(var.submitter_arns) > 0 ? [1] : []
    content {
      sid       = "SubmittersPutBundles"
      actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
      resources = ["${aws_s3_bucket.store.arn}/inbox/*"]
      principals {
        type        = "AWS"
        identifiers = var.submitter_arns
      }
    }
  }
  dynamic "statement" {
    for_each = length(var.submitter_arns) > 0 ? [1] : []
    content {
      sid       = "SubmittersReadInbox"
      actions   = ["s3:GetObject"]
      resources = ["${aws_s3_bucket.store.arn}/inbox/*"]
      principals {
        type        = "AWS"
        identifiers = var.submitter_arns
      }
    }
  }
  # A tenant's bundles of every queue, and cancel statements, which are signed by whoever submitted the job.
  dynamic "statement" {
    for_each = var.tenants
    content {
      sid     = "TenantInbox${index(keys(var.tenants), statement.key)}"
      actions = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject"]
      resources = [
        "${aws_s3_bucket.store.arn}/inbox/*/${statement.key}/*", "${aws_s3_bucket.store.arn}/inbox/cancel/*",
      ]
      principals {
        type        = "AWS"
        identifiers = statement.value
      }
    }
  }
  dynamic "statement" {
    for_each = length(local.submitters) > 0 ? [1] : []
    content {
      sid       = "SubmittersRead"
      actions   = ["s3:GetObject"]
      resources = [for part in ["policy", "epochs", "models", "jobs"] : "${aws_s3_bucket.store.arn}/${part}/*"]
      principals {
        type        = "AWS"
        identifiers = local.submitters
      }
    }
  }
  dynamic "statement" {
    for_each = length(local.submitters) > 0 ? [1] : []
    content {
      sid       = "SubmittersList"
      actions   = ["s3:ListBucket"]
      resources = [aws_s3_bucket.store.arn]
      principals {
        type        = "AWS"
        identifiers = local.submitters
      }
    }
  }
}

resource "aws_s3_bucket_policy" "store" {
  bucket     = aws_s3_bucket.store.id
  policy     = data.aws_iam_policy_document.store.json
  depends_on = [aws_s3_bucket_public_access_block.store]
}
