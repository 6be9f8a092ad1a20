"""The platform on ROS 2: a node that flies it, and a node that stands in for motion capture and platform.

Nothing here imports rclpy until a node is made, so that everything else works without ROS.
"""
