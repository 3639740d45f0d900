locals {
  systemd = "${path.module}/../../../systemd"
  user_data = templatefile("${path.module}/user-data.yaml.tftpl", {
    region    = var.region
    bucket    = aws_s3_bucket.store.id
    name      = var.name
    enclave   = var.enclave
    release   = var.release
    log_group = aws_cloudwatch_log_group.host.name
    files = {
      "/usr/lib/sysusers.d/ephemeral.conf"            = { mode = "0644", text = file("${local.systemd}/ephemeral.sysusers") }
      "/etc/systemd/system/ephemeral-daemon.service"  = { mode = "0644", text = file("${local.systemd}/ephemeral-daemon.service") }
      "/etc/systemd/system/ephemeral-enclave.service" = { mode = "0644", text = file("${local.systemd}/ephemeral-enclave.service") }
      "/etc/systemd/system/ephemeral-metrics.service" = { mode = "0644", text = file("${local.systemd}/ephemeral-metrics.service") }
      "/etc/systemd/system/ephemeral-metrics.timer"   = { mode = "0644", text = file("${local.systemd}/ephemeral-metrics.timer") }
      "/opt/ephemeral/bin/run-enclave"                = { mode = "0755", text = file("${local.systemd}/run-enclave") }
      "/opt/ephemeral/bin/ephemeral-metrics"          = { mode = "0755", text = file("${local.systemd}/ephemeral-metrics") }
      "/etc/nitro_enclaves/allocator.yaml" = {
        mode = "0644"
        text = templatefile("${local.systemd}/allocator.yaml.tftpl", { memory_mib = var.enclave.memory_mib, cpu_count = var.enclave.cpus })
      }
    }
  })
}

resource "aws_launch_template" "host" {
  name_prefix            = "${var.name}-"
  image_id               = var.ami_id
  instance_type          = var.instance_type
  user_data              = base64gzip(local.user_data)
  update_default_version = true
  ebs_optimized          = true
  vpc_security_group_ids = [aws_security_group.instance.id]

  enclave_options {
    enabled = true
  }

  # Session credentials only by IMDSv2, and not through a container's or a relay's extra hop.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  monitoring {
    enabled = true
  }

  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      encrypted             = true
      volume_type           = "gp3"
      volume_size           = 60
      delete_on_termination = true
    }
  }

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = var.name }
  }
}

# Nothing that cannot be made again lives on the instance: the queue comes back from the inbox and the commits, without
# its history, its pauses and its schedules' memory. So a new image is a new instance, and the group replaces one that
# fails. Never two at once: one daemon owns a store.
resource "aws_autoscaling_group" "host" {
  name                      = var.name
  min_size                  = 0
  max_size                  = 1
  desired_capacity          = 1
  vpc_zone_identifier       = aws_subnet.private[*].id
  health_check_type         = "EC2"
  health_check_grace_period = 600

  launch_template {
    id      = aws_launch_template.host.id
    version = aws_launch_template.host.latest_version
  }

  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 0
      max_healthy_percentage = 100
    }
  }

  tag {
    key                 = "Name"
    value               = var.name
    propagate_at_launch = true
  }
}
