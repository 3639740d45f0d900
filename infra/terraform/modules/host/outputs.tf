output "instance_role_arn" {
  description = "For the module keys."
  value       = aws_iam_role.instance.arn
}

output "store" {
  description = "The store's URL, for --store."
  value       = "s3://${aws_s3_bucket.store.id}?region=${var.region}"
}

output "bucket" {
  description = "The bucket, for the release's files."
  value       = aws_s3_bucket.store.id
}
